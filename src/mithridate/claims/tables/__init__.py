"""Small tables that the rules need, and the script that makes the two ICD-10-CM ones from public packages."""
