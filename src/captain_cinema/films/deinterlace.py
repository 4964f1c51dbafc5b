"""One progressive picture from an interlaced frame and its neighbours (FFmpeg's bwdif)."""

from __future__ import annotations

from fractions import Fraction

import av.error
from av.filter import Graph
from av.video.frame import VideoFrame

TICK = Fraction(1, 1000)


def deinterlace(before: VideoFrame | None, frame: VideoFrame, after: VideoFrame | None) -> VideoFrame:
    """The frame as its first field has it; the lines of the other field are made from all three frames."""
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TICK)
    graph.link_nodes(
        source, graph.add("bwdif", mode="send_frame", parity="auto", deint="all"), graph.add("buffersink")
    ).configure()
    made: list[VideoFrame] = []
    for place, each in enumerate((before, frame, after)):
        _push(graph, each if each is not None and _alike(each, frame) else frame, place)
        made += _pull(graph)
    graph.vpush(None)
    made += _pull(graph)
    return made[1]


def _alike(one: VideoFrame, other: VideoFrame) -> bool:
    return (one.width, one.height, one.format.name) == (other.width, other.height, other.format.name)


def _push(graph: Graph, frame: VideoFrame, place: int) -> None:
    """Give a frame a stamp of its own for the filter, which drops frames whose stamps do not increase."""
    stamp, tick = frame.pts, frame.time_base
    frame.pts, frame.time_base = place, TICK
    try:
        graph.vpush(frame)
    finally:
        frame.pts = stamp
        if tick is not None:
            frame.time_base = tick


def _pull(graph: Graph) -> list[VideoFrame]:
    made = []
    while True:
        try:
            made.append(graph.vpull())
        except (av.error.BlockingIOError, av.error.EOFError):
            return made
