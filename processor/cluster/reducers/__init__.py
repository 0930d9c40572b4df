"""The rule of each event type, one module per entity. They do not import each other; `generator` calls them."""
