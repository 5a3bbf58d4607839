"""What is measured: functions from arrays to numbers or curves, without I/O and without a model."""
