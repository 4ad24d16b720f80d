"""One module a group of commands; `farol.cli` puts them together."""
