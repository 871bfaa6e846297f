"""Keys with everything in them that escaping could get wrong."""

ODD_KEYS = (
    "sp ace+plus%25.jpg",
    "ünï/日本.png",
    "a//b",
    "q?x=1&y=2#f",
    "<&>'\"",
    "~(tilde)*!,;:@$[]",
    "tail/",
    "한" * 60,
)
