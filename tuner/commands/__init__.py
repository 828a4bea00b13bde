"""The subcommands, a module each with one `command`."""
