int ours_changed;
