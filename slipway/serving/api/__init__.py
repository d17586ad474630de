"""What can be asked: the v1 API (typed records), the v2 API (Open Inference Protocol), and the page about both."""
