"""What a real conversion carries: the bodies of one upload turned into mp3, as its stages wrote them."""

import msgspec

UPLOAD = "u00-01m7xg0e7f0feppvz5928djv4d"
JOB = "j00-01m7xg0e7syfn2z2y5jqxbqbbk"
SHA256 = "d5aa09f95528000431fddc0639bcdcf54696d2a92fc59b8daa5d6f5163f49523"
SPANS = {"ingest": [0.0, 2.0], "fetch": [2.0, 8.0], "transcode": [8.0, 95.0], "store": [95.0, 100.0]}
STREAM = {
    "index": 0, "kind": "video", "codec": "h264", "profile": "High", "pixel_format": "yuv420p", "color_transfer": None,
    "width": 1280, "height": 720, "frame_rate": 30.0, "rotation": 0, "sample_rate": None, "channels": None,
    "bit_rate": 2689000, "attached_picture": False, "default": True, "packets": 90, "first_pts_s": 0.021333,
    "last_pts_s": 3.021333, "largest_gap_s": 0.033333,
}  # fmt: skip
OUTPUT = {
    "name": "clip.mp3", "type": "audio/mpeg", "size_bytes": 73299, "sha256": SHA256, "duration_s": 3.0,
    "codecs": {"video": None, "audio": "mp3"}, "width": None, "height": None,
}  # fmt: skip
SOURCE_PATH = f"work/{JOB}/2.9d34d32643a2b248/source"
OUTPUT_PATH = f"work/{JOB}/3.916dde0416256ca4/output.mp3"
SOURCE = {"path": SOURCE_PATH, "name": "clip.mp4", "size_bytes": 1039515, "sha256": SHA256}
PROBE = {"container": "mov,mp4,m4a,3gp,3g2,mj2", "duration_s": 3.0, "size_bytes": 1039515, "streams": [STREAM, STREAM]}
RENDITION = {"path": OUTPUT_PATH, **OUTPUT}

encode = msgspec.json.encode
SMALL = b'{"source":"https://media.example/clip.mp4","format":"mp3","quality":"192k"}'
"""Of jobs whose content does not matter."""
SPEC = encode(
    {"source": f"upload:{UPLOAD}", "format": "mp3", "quality": None, "name": None, "tags": [], "cache": "use"}
)
INPUTS = {
    "ingest": b"{}",
    "fetch": encode({"source": f"upload:{UPLOAD}", "spans": SPANS}),
    "transcode": encode({"source": SOURCE, "probe": PROBE, "spans": SPANS}),
    "store": encode({"outputs": [RENDITION], "source_name": "clip.mp4", "spans": SPANS}),
}
"""Input by stage."""
REFS = {
    "ingest": (f"uploads/{UPLOAD}",),
    "fetch": (f"uploads/{UPLOAD}",),
    "transcode": (SOURCE_PATH,),
    "store": (OUTPUT_PATH,),
}
RESULT = encode({"path": f"out/{JOB}/4.28a23d3e7428ed40", "outputs": [{**OUTPUT, "file": "output.mp3"}]})
COMPLETED = encode({"outputs": [OUTPUT]})
PROGRESS = encode({"stage": "transcode", "eta_s": 12.5, "speed": 8.25, "bytes_done": None, "bytes_total": None})
ERROR = encode({"code": "SOURCE_UNREACHABLE", "message": "The source did not answer.", "retryable": True})
