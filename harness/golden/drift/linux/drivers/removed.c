int removed;
