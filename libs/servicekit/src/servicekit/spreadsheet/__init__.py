"""Spreadsheets of answers, made in worker processes; whoever uses it installs `servicekit[spreadsheet]`."""
