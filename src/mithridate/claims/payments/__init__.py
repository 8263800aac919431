"""What each payer model pays: MS-DRG weights, CMS-HCC risk scores, physician fees, anesthesia units."""
