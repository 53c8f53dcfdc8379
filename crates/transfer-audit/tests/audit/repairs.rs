//! What a repair insists on before it changes anything, and what it leaves alone.
