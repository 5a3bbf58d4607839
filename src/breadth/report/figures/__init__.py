"""From arrays to Axes: every function draws one picture and computes nothing.

The columns of a picture come as keyword arguments, arrays of equal length, one entry per thing drawn; they
are the columns of the CSV file beside it. NaN is not drawn. Call them inside `style.context`.
"""
