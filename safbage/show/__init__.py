"""Words and pictures for people: figures, tables, pages, widgets, checks of exercises."""
