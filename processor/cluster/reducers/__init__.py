"""The rules of each event, one module an entity. They do not know each other; `generator` calls them."""
