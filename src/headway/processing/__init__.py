"""From images to what models take."""
