"""Every action on one sheet: before, after, an edge at 200 %, and the figures."""
