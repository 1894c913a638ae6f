module h2client

go 1.26.0
