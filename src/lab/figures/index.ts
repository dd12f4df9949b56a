/** @file Figures: plain data in, one themed SVG with title and caption out; PNGs that look the same everywhere. */
export { type Bar, type BarChart, barChart } from './barChart.ts'
export { type ConfusionMatrix, confusionMatrix } from './confusionMatrix.ts'
export { escapeText, type Figure, type FigureText } from './figure.ts'
export { encodePng, type Gallery, type GalleryItem, gallery, pngDataUri, type SmallImage } from './gallery.ts'
export { type LineChart, type LinePoint, type LineSeries, lineChart, type Reference } from './lineChart.ts'
export { posterSvg, svgToPng } from './poster.ts'
export { color, seriesColor, themeCss } from './theme.ts'
export { type TreeFigure, type TreeRules, treeFigure } from './tree.ts'
