"""What one client may ask, and how long it may take to ask it. `Connection`, `Admission` and the two APIs enforce it.

They are sized for records of some tens of fields on one core. What is refused for size can be sent in parts.
"""

MAX_RECORDS = 1_000  # in a request. 400 beyond: the event loop answers one request at a time, so none may be long
MAX_RECORD_BYTES = 16 << 10  # bytes of one record. 400 beyond
MAX_PARAMETERS = 100  # of a tensor, an output or a request of the v2 API. 400 beyond
MAX_BODY_BYTES = 1 << 20  # bytes of a request's body. 413 beyond, as soon as that is known
MAX_HEAD_BYTES = 32 << 10  # bytes of a request line with its headers. 431 beyond
MAX_HEADERS = 100  # 431 beyond
MAX_BUFFERED_BYTES = 64 << 20  # bytes of all bodies that a worker is receiving or has not answered. 429 beyond
MAX_PENDING_REQUESTS = 1_024  # requests that a worker has accepted and not answered. 429 beyond
MAX_QUEUE_SECONDS = 2.0  # seconds that a request waits for its turn. 429 beyond: its client may have left
RECEIVE_TIMEOUT = 8.0  # seconds from a request's first byte to its last. 408 beyond, and the connection is closed
SEND_TIMEOUT = 8.0  # seconds that an answer, or the rest of it, waits to be read. Then the connection is closed
KEEP_ALIVE_TIMEOUT = 75  # seconds that a connection may be idle: longer than load balancers keep theirs, mostly 60
RETRY_AFTER_SECONDS = 1  # seconds, that a 429 asks its client to stay away
RESPONSE_TIMEOUT = 15.0  # seconds that BentoML may take for a request that is passed on to it. 504 beyond
