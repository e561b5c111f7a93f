"""The commands of the command line, one file a group, as `outgate --help` lists them."""
