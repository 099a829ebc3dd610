from tickwright.net.listener import FrameSink

__all__ = ["feed_frames"]

def feed_frames(
    block: bytes, at: int, sinks: list[FrameSink] | list[FrameSink | None], /
) -> tuple[int, int]: ...
