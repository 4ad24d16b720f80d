"""What is seen from inside a process: metrics, traces, and the port where they are asked for."""
