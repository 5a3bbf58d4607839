"""What people look at: tables at the terminal, figures in files."""
