"""What the container needs beside `core` and `cases`: it runs without pandas and without scikit-learn."""
