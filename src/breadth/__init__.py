"""breadth: why does a language model keep giving the same few answers?"""

__version__ = "0.1.0"
