"""Section 3.3: every shot is filmed from its keyframe, with the film's other keyframes in sight."""
