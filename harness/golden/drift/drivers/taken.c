int ours_taken;
