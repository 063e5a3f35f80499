"""What Google's Edge TPU compiler would map, from the public record, and the compiler itself where it is installed."""
