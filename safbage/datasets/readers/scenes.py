"""Scenes with recorded fixations; `safbage.fixations` reads them."""

from safbage.datasets.source import Source

SOURCES = {
    "osie": Source(
        title="OSIE",
        what="scenes, 800×600; eye movements of 15 viewers",
        pictures="700",
        size="",
        licence="MIT",
        citation="Xu et al., Predicting human gaze beyond pixels, Journal of Vision 2014",
        where="github.com/NUS-VIP/predicting-human-gaze-beyond-pixels",
        layout="stimuli/1001.jpg … and fixations.csv (image, subject, x, y in pixels)",
        folders=("OSIE",),
    ),
    "eyecrowd": Source(
        title="EyeCrowd",
        what="crowded scenes; eye movements of 16 viewers",
        pictures="500",
        size="",
        licence="MIT",
        citation="Jiang, Xu, Zhao, Saliency in crowd, ECCV 2014",
        where="the NUS VIP laboratory, Saliency in Crowd",
        layout="stimuli/….jpg and fixations.csv (image, subject, x, y in pixels)",
        folders=("EyeCrowd",),
    ),
    "salicon": Source(
        title="SALICON",
        what="scenes of COCO, 640×480; crowd workers' mouse movements",
        pictures="20,000",
        size="",
        licence="see salicon.net",
        citation="Jiang et al., SALICON: saliency in context, CVPR 2015",
        where="salicon.net",
        layout="images/[val/]….jpg, maps/val/….png and, if wanted, fixations/val/….mat",
        folders=("SALICON",),
    ),
}
