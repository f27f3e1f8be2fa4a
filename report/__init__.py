"""The report builder: run notebooks, collect what they leave, bind it into a book."""
