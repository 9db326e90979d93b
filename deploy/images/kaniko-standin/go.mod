module kaniko-standin

go 1.19
