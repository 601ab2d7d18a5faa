"""What training and inference share: records, configuration, text, files. Light to import."""
