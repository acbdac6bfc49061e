int ours_added;
