"""One report for every run: a page for people, figures for papers, tables for programs."""
