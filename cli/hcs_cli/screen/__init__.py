"""Commands of a screen: score new plates, call hits."""
