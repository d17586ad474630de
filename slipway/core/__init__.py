"""What a case is: its records, features, model and card. This room imports no other."""
