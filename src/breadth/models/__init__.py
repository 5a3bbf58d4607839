"""Models: whatever gives next-token distributions at the prefixes of a trie."""
