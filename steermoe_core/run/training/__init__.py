"""How is a run trained? Its processes, kept frames on disk, validation, watches."""
