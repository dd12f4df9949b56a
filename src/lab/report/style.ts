/** @file The look of a report: one column, quiet, light or dark as the reader's system is, good on paper. */
import { themeCss } from '../figures/index.ts'

const rules = `
*{box-sizing:border-box}
body{margin:0;background:var(--tl-paper);color:var(--tl-ink);font:16px/1.6 Inter,system-ui,-apple-system,"Segoe UI",sans-serif;-webkit-font-smoothing:antialiased}
main{max-width:72rem;margin:0 auto;padding:3.5rem 1.5rem 5rem}
header p.kind{margin:0 0 .4rem;color:var(--tl-muted);font-size:.85rem;letter-spacing:.04em}
h1{font-size:2.1rem;line-height:1.2;font-weight:650;letter-spacing:-.015em;margin:0 0 .9rem}
h2{font-size:1.25rem;font-weight:620;letter-spacing:-.01em;margin:3.2rem 0 .9rem}
section.run>h2:first-child{margin-top:3.6rem;padding-top:1.6rem;border-top:1px solid var(--tl-grid)}
sup,sub{line-height:0;font-size:.74em}
p{max-width:44rem;margin:.6rem 0}
p.lead{font-size:1.1rem;line-height:1.6}
p.note,figcaption .made{color:var(--tl-muted);font-size:.85rem}
dl.numbers{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:1px;margin:1.8rem 0 0;border:1px solid var(--tl-grid);border-radius:10px;overflow:hidden}
dl.numbers>div{box-shadow:0 0 0 1px var(--tl-grid);padding:1rem 1.1rem}
dl.numbers dt{color:var(--tl-muted);font-size:.82rem}
dl.numbers dd{margin:.1rem 0 0;font-size:1.55rem;font-weight:620;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
dl.numbers dd.long{font-size:.97rem;line-height:1.9;overflow-wrap:anywhere}
dl.numbers dd small{display:block;font-size:.8rem;font-weight:400;letter-spacing:0;color:var(--tl-muted)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr));gap:2.6rem 2.4rem;align-items:start}
.figures.small{grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr))}
figure{margin:0}
figure h3{font-size:1rem;font-weight:620;margin:0 0 .7rem}
figure svg{display:block;width:100%;height:auto}
figcaption{margin-top:.8rem;font-size:.92rem;line-height:1.5}
figcaption p{margin:.2rem 0}
.scroll{overflow-x:auto}
.scroll+.scroll{margin-top:1.6rem}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;min-width:min(100%,26rem)}
caption{text-align:left;font-weight:620;padding:0 0 .4rem}
caption.quiet{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
td,tbody th{overflow-wrap:break-word}
td{max-width:34rem}
th,td{text-align:left;padding:.4rem 1.4rem .4rem 0;border-bottom:1px solid var(--tl-grid);vertical-align:top}
th{font-weight:500;color:var(--tl-muted)}
tbody th{color:var(--tl-ink)}
td.number,th.number{text-align:right}
td.number,td.short,td.holds,td.fails,td.undecided{white-space:nowrap}
td.note{color:var(--tl-muted)}
.holds{color:var(--tl-good);font-weight:600}
.undecided{color:var(--tl-muted);font-weight:600}
.fails{color:var(--tl-bad);font-weight:600}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.88em}
pre{background:color-mix(in srgb,var(--tl-grid) 45%,transparent);border-radius:8px;padding:.9rem 1.1rem;overflow-x:auto}
ol.found{list-style:none;padding:0;margin:1.8rem 0;display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:2.4rem}
ol.found h3{font-size:1.05rem;font-weight:620;margin:0 0 .4rem}
ol.found p{font-size:.95rem;line-height:1.5}
section>div.picture{max-width:36rem;margin:1.6rem 0}
div.picture svg{display:block;width:100%;height:auto}
aside.words{margin-top:2.4rem;border:1px solid var(--tl-grid);border-radius:10px;padding:.2rem 1.4rem 1rem}
aside.words h2{margin:1rem 0 .4rem;font-size:1rem}
aside.words dt{font-weight:620;font-size:.92rem}
aside.words dd{margin:0 0 .5rem;font-size:.92rem;color:var(--tl-muted)}
nav a{color:inherit}
nav .note,th .note{color:var(--tl-muted);font-size:.85rem;font-weight:400}
section>details{margin-top:1.6rem}
details summary{cursor:pointer;color:var(--tl-muted)}
details[open]>summary{margin-bottom:.8rem}
details.provenance{margin-top:3rem;padding-top:.9rem;border-top:1px solid var(--tl-grid);font-size:.9rem}
details.provenance summary{overflow-wrap:anywhere}
footer{margin-top:4rem;color:var(--tl-muted);font-size:.85rem}
@media (max-width:40rem){
main{padding:2rem 1rem 3rem}
h1{font-size:1.6rem}
th,td{padding-right:.8rem}
table{min-width:0}
table.claims thead{display:none}
table.claims tr{display:flex;flex-wrap:wrap;gap:0 1rem;border-bottom:1px solid var(--tl-grid)}
table.claims th,table.claims td{border:0;padding-right:0}
table.claims th{flex:1 0 100%;padding-bottom:0}
}
@media print{
@page{size:A4;margin:14mm}
main{padding:0;max-width:none}
body{font-size:10pt}
.figures{grid-template-columns:1fr 1fr;gap:1.4rem}
.figures.small{grid-template-columns:1fr 1fr 1fr}
h1,h2,h3,caption,summary{break-after:avoid}
figure,dl.numbers,tr,.scroll:not(.long),ol.found li,aside.words{break-inside:avoid}
.scroll{overflow:visible}
table{width:100%;font-size:8.5pt}
td{overflow-wrap:anywhere}
th,td{padding-right:.7rem}
p.lead{font-size:10.5pt}
thead{display:table-header-group}
details:not(.provenance)::details-content{content-visibility:visible;block-size:auto;height:auto}
details:not(.provenance)>summary{display:none}
pre{white-space:pre-wrap;overflow-wrap:anywhere}
}
`

/** The style sheet of a report. */
export const reportCss = (): string => themeCss() + rules.trim().replaceAll('\n', '')
