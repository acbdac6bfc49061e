int replaced;
int new_in_this_base;
