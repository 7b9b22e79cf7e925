"""Who is who from frame to frame: faces linked into tracks, boxes carried between detections, and
one answer for each track from all its frames."""

from safbage.tracks.answers import per_track, pooled
from safbage.tracks.following import follow
from safbage.tracks.linking import GAP, Tracker

__all__ = ["GAP", "Tracker", "follow", "per_track", "pooled"]
