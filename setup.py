"""What pyproject.toml cannot say: the schemas and the topics go into the wheel, as `processor/data`.

They stand at the top of the repository, where people look for them. An editable installation reads them there.
"""

from pathlib import Path
from shutil import copy2

from setuptools import setup
from setuptools.command.build_py import build_py

PROJECT = Path(__file__).resolve().parent
DATA = ("schemas/**/*.avsc", "topics*.yaml", "topics.schema.json")


class BuildWithData(build_py):
    """Copies the data beside the modules; `get_outputs` names them, for installers that ask."""

    def run(self) -> None:
        """Build the modules, then the data."""
        super().run()
        if not self.editable_mode:
            for source, target in self._data().items():
                target.parent.mkdir(parents=True, exist_ok=True)
                copy2(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:  # noqa: FBT001, FBT002 - as setuptools has it
        """Return every file that building makes."""
        data = [] if self.editable_mode else [str(target) for target in self._data().values()]
        return [*super().get_outputs(include_bytecode), *data]

    def _data(self) -> dict[Path, Path]:
        directory = Path(self.build_lib, "processor", "data")
        sources = [path for pattern in DATA for path in sorted(PROJECT.glob(pattern))]
        return {source: directory / source.relative_to(PROJECT) for source in sources}


setup(cmdclass={"build_py": BuildWithData})
