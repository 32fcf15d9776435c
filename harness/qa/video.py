"""Video to frames at exact presentation timestamps, by PyAV.

with Video(path, "videos/a.mp4") as video:
    frames = video.frames(start=10.0, end=20.0, most=8)

First the clip's timestamps are read from its packets (nothing is decoded), then `timeline.py` says which frames are
wanted, then each is decoded from the keyframe before it. Zero is the first video frame's timestamp.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from harness.errors import DataError, oneline
from harness.qa.items import Frame
from harness.qa.orientation import upright
from harness.qa.photos import shrink
from harness.qa.timeline import between, check_times, chosen, exact, on_display

DECODER = "2"  # part of every cached frame's key: count up when the same file would give other frames
ROUNDING = Fraction(1)  # an annotation may name an end up to one second past the last frame, and means the last frame
CUT = Fraction(1, 2)  # a file that holds less than its header promises by more seconds than this has been cut short


@dataclass(frozen=True)
class Packet:
    """One encoded frame: when it is shown, in ticks from the first frame, and whether decoding can begin with it."""

    tick: int
    duration: int
    key: bool


class Video:
    """An open video file; `decoded` counts the frames decoded so far. DataError when it has no video to show."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name, self.decoded = path, oneline(name, 300), 0
        self._container, self._stream = self._opened()
        self._second = 1 / Fraction(self._stream.time_base or 1)
        self._zero = self._stream.start_time or 0

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def frames(
        self,
        start: float | None,
        end: float | None,
        most: int,
        max_side: int | None = None,
        shift: Fraction = Fraction(0),
    ) -> NDArray[np.uint8]:
        """uint8 RGB `[frames, height, width, 3]` of the clip, at most `most`; to the video's end where `end` is None.
        With `shift` (below 1), those so far on the way from each of them to the next.

        DataError, naming file and times, when the clip is not in the video or one of its frames does not decode.
        """
        check_times(start, end, self.name)
        begin = exact(start or 0.0) * self._second
        until = None if end is None else exact(end) * self._second
        packets, goes_on = self._packets(begin, until)
        if not packets:
            raise DataError(f"{self.name}: no picture of it can be decoded: cut short? fetch the file again")
        reached: int | Fraction = max(packet.tick + packet.duration for packet in packets)
        length = max(self._promised() or 0, reached)
        if not goes_on:
            if begin >= length:
                raise DataError(f"{self.name}: the clip starts at {start:g} s, but the video ends at {self._s(length)}")
            if until is not None and until > length + ROUNDING * self._second:
                raise DataError(f"{self.name}: the clip ends at {end:g} s, but the video at {self._s(length)}")
        until = Fraction(length) if until is None or (not goes_on and until > length) else until

        ticks = [packet.tick for packet in packets]
        lost: list[int] = []
        if not goes_on and reached + CUT * self._second < until:
            # What the cut took away is continued evenly: only a clip that asks for none of it can be shown.
            gap = max(1, (ticks[-1] - ticks[0]) // (len(ticks) - 1) if len(ticks) > 1 else packets[0].duration)
            lost = list(range(ticks[-1] + gap, int(until), gap))
        shown = on_display([*ticks, *lost], begin, until)
        picked = chosen(shown, self._second, begin, until, most)
        if shown[picked[-1]] > ticks[-1]:
            raise DataError(
                f"{self.name}: cut short: decodes up to {self._s(reached)} of {self._s(length)}; fetch the file again"
            )
        if shift:  # never into what the cut took away: where the clip can be shown, so can all its views
            picked = between([tick for tick in shown if tick <= ticks[-1]], picked, shift)
        wanted = [shown[at] for at in picked]
        keys = [packet.tick for packet in packets if packet.key]
        frames = {tick: shrink(frame, max_side) for tick, frame in self._decoded(sorted(set(wanted)), keys)}
        if len({frame.shape for frame in frames.values()}) > 1:
            raise DataError(f"{self.name}: the picture's size changes within the clip; cut the file into one for each")
        return np.stack([frames[tick] for tick in wanted])

    @property
    def zero(self) -> Fraction:
        """The first frame's timestamp on the file's own clock, seconds."""
        return self._zero / self._second

    # --- packets: when each frame is shown ---------------------------------------------------------

    def _packets(self, begin: Fraction, until: Fraction | None) -> tuple[list[Packet], bool]:
        """Packets by presentation time, from a keyframe at or before `begin`; and whether more come after `until`."""
        back = Fraction(0)
        while True:
            from_tick = max(Fraction(0), begin - back)
            packets, goes_on = self._demuxed(int(from_tick), until)
            # A seek may land after what was asked for: go further back until it does not.
            if from_tick == 0 or (packets and packets[0].tick <= begin):
                return packets, goes_on
            back = max(5 * self._second, 4 * back)

    def _demuxed(self, from_tick: int, until: Fraction | None) -> tuple[list[Packet], bool]:
        self._go(from_tick)
        packets: list[Packet] = []
        goes_on = False
        for packet in self._read():
            tick = packet.pts if packet.pts is not None else packet.dts
            if packet.is_corrupt:
                break  # the file ends in the middle of it
            if tick is None or packet.is_discard:
                continue
            if until is not None and packet.dts is not None and packet.dts - self._zero >= until:
                goes_on = True  # nothing is shown before its dts: what follows is no longer the clip's
                break
            if packets or packet.is_keyframe or from_tick == 0:
                packets.append(Packet(tick - self._zero, packet.duration or 0, packet.is_keyframe))
        first = next((packet.tick for packet in packets if packet.key), 0)
        return self._timed(sorted((p for p in packets if p.tick >= first), key=lambda p: p.tick)), goes_on

    def _timed(self, packets: list[Packet]) -> list[Packet]:
        """A frame is on display until the next; only the last has to say for how long itself."""
        if packets and not packets[-1].duration:
            last = packets[-1]
            gap = (last.tick - packets[0].tick) // (len(packets) - 1) if len(packets) > 1 else 0
            rate = self._stream.average_rate
            packets[-1] = Packet(last.tick, gap or (round(self._second / rate) if rate else 0) or 1, last.key)
        return packets

    def _promised(self) -> int | None:
        """How long the header says the video is, in ticks; None where it says nothing about this stream."""
        if self._stream.duration:
            return self._stream.duration
        told = self._stream.metadata.get("DURATION", "")  # Matroska: "00:00:10.000000000"
        try:
            hours, minutes, seconds = told.split(":")
            return round((int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds.strip())) * self._second)
        except ValueError:
            return None

    # --- frames ------------------------------------------------------------------------------------

    def _decoded(self, wanted: Sequence[int], keys: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """The frames at these ticks, in order; sought only where a keyframe spares decoding."""
        at: int | None = None
        frames: Iterator[av.VideoFrame] = iter(())
        for tick in wanted:
            place = bisect_right(keys, tick)
            key = keys[place - 1] if place else 0
            if at is None or key > at:
                frames = self._from(key)
            found, at = self._found(frames, tick)
            if found is None and keys and key > keys[0]:  # an open group of pictures may need the one before it
                frames = self._from(keys[0])
                found, at = self._found(frames, tick)
            if found is None:
                raise DataError(
                    f"{self.name}: the frame at {self._s(tick)} cannot be decoded (the last that could: "
                    f"{'none' if at is None else self._s(at)}); fetch the file again"
                )
            yield tick, upright(found)

    def _found(self, frames: Iterator[av.VideoFrame], tick: int) -> tuple[av.VideoFrame | None, int | None]:
        at = None
        for frame in frames:
            shown = frame.pts if frame.pts is not None else frame.dts
            if shown is None or shown - self._zero < tick:
                at = at if shown is None else shown - self._zero
                continue
            right = shown - self._zero == tick and not frame.is_corrupt
            return (frame, tick) if right else (None, at)
        return None, at

    def _from(self, tick: int) -> Iterator[av.VideoFrame]:
        self._go(tick)
        for packet in self._read():
            try:
                for frame in packet.decode():
                    self.decoded += 1
                    yield frame
            except av.error.FFmpegError:
                continue  # one broken packet: whether a wanted frame is lost with it shows when it does not come

    # --- the file ----------------------------------------------------------------------------------

    def _opened(self) -> tuple[InputContainer, VideoStream]:
        if not self.path.is_file():
            absent = "no such file: put it below the data's folder"
            raise DataError(f"{self.name}: {'is a folder, not a video file' if self.path.is_dir() else absent}")
        try:
            # Playlists may name other files and addresses: nothing but local files is ever opened.
            container = av.open(str(self.path), metadata_errors="replace", options={"protocol_whitelist": "file"})
        except (av.error.FFmpegError, OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise DataError(
                f"{self.name}: cannot be opened as a video ({why}): cut short, or not a video; fetch the file again"
            ) from None
        for stream in container.streams.video:
            if not stream.disposition & av.stream.Disposition.attached_pic:
                return container, stream
        held = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        container.close()
        raise DataError(f"{self.name}: no video stream in it (holds {held}): name a file with pictures")

    def _go(self, tick: int) -> None:
        """To the keyframe at or before a tick. The beginning is had by opening again: not every format can seek."""
        if tick > 0:
            try:
                self._container.seek(tick + self._zero, stream=self._stream)
                return
            except av.error.FFmpegError:
                pass
        self._container.close()
        self._container, self._stream = self._opened()

    def _read(self) -> Iterator[av.Packet[VideoStream]]:
        try:
            yield from self._container.demux(self._stream)
        except (av.error.FFmpegError, IndexError):  # IndexError: garbage that looks like one stream more
            return  # cut short: what came before is good

    def _s(self, ticks: int | Fraction) -> str:
        return f"{float(ticks / self._second):.2f} s"
