int replaced_as_seen;
