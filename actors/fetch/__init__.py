"""fetch: brings a source into the work area, probes it and plans what has to be done.

handler    the stage
upload     a source that was uploaded
direct     a file behind an address: ranges, resume, limits
response   what an answer of a server says about the file
sniff      whether bytes are a file, a web page or a playlist
connection the client whose connections the egress policy checks
page       a web page or playlist, read by the extractor in a process of its own
extractor  that process; the only place that imports yt-dlp
meter      bytes, speed and time left
"""

from actors.fetch.handler import Fetch

__all__ = ["Fetch"]
