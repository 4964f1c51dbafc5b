"""The stages from a story to a film in its folder: write, storyboard, shoot, cut (design section 1).

The stages talk to a backend by its contract alone and write through `project`, so that a kill loses at most
the frame in flight and a second run makes only what is missing or stale.
"""
