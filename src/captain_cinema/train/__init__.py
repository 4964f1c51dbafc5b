"""Training: progressive context, dynamic stride sampling, and the loop that all parts share (paper sections
3.2, A).
"""
