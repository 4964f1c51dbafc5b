"""The last stage: shots to one film, keyframes to a contact sheet, the cut to a timeline for editing
programs.
"""
