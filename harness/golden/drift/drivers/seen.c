int ours_seen;
