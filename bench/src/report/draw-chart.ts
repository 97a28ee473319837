import * as echarts from 'echarts';
import type { Summary } from '../statistics/summary.ts';
import type { BarChart, Group } from './bar-chart.ts';

const WIDTH = 900;
const [LEFT, RIGHT] = [170, 60];
const [HEADING, LEGEND, GROUP_HEADING, FOOT] = [46, 30, 30, 34];
const [BAR, BAR_GAP, CATEGORY_GAP] = [11, 2, 12];
const FONT = 'Helvetica, Arial, sans-serif';
const [INK, PALE_INK, GRID, WHISKER] = ['#1f2328', '#57606a', '#d8dee4', '#24292f'];
/** Okabe and Ito's colours, which most colour-blind people tell apart, in pairs of dark and light. */
const COLORS = ['#0072b2', '#56b4e9', '#d55e00', '#e69f00', '#009e73', '#cc79a7'];

/** One bar, or one stack of bars: its number and its whisker. */
interface Slot {
  readonly stack: string;
  readonly key: string;
}

/** The chart as SVG on a white ground, readable on light and dark pages alike. */
export function drawChart(chart: BarChart): string {
  const slots = slotsOf(chart);
  const categoryHeight = slots.length * (BAR + BAR_GAP) - BAR_GAP + CATEGORY_GAP;
  const groups = chart.groups
    .map(group => ({ ...group, bars: group.bars.filter(bar => slots.some(({ key }) => bar.valueOf(key))) }))
    .filter(group => group.bars.length > 0);
  const tops: number[] = [];
  const hasLegend = chart.series.length > 1;
  let height = HEADING + (hasLegend ? LEGEND : 0);
  for (const group of groups) {
    tops.push(height + GROUP_HEADING);
    height += GROUP_HEADING + group.bars.length * categoryHeight;
  }
  height += FOOT;

  const most = Math.max(0, ...groups.flatMap(group => valuesOf(group, slots)).map(summary => summary.most));
  const drawing = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  drawing.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: FONT },
    color: COLORS,
    title: [
      { text: chart.title, left: 12, top: 10, textStyle: { fontSize: 17, fontFamily: FONT, color: INK } },
      ...groups.map((group, index) => ({
        text: group.title,
        left: 12,
        top: tops[index]! - GROUP_HEADING + 8,
        textStyle: { fontSize: 13, fontFamily: FONT, color: INK },
      })),
    ],
    legend: {
      show: hasLegend,
      left: 8,
      top: 42,
      itemWidth: 14,
      itemHeight: 10,
      textStyle: { fontSize: 12, color: INK, fontFamily: FONT },
      data: chart.series.map(({ name }) => name),
    },
    grid: groups.map((group, index) => ({
      left: LEFT,
      right: RIGHT,
      top: tops[index]!,
      height: group.bars.length * categoryHeight,
    })),
    xAxis: groups.map((_, index) => ({
      gridIndex: index,
      type: 'value',
      min: 0,
      max: most * 1.04,
      axisLabel: {
        show: index === groups.length - 1,
        showMaxLabel: false,
        fontSize: 11,
        color: PALE_INK,
        fontFamily: FONT,
      },
      splitLine: { showMaxLine: false, lineStyle: { color: GRID } },
    })),
    yAxis: groups.map((group, index) => ({
      gridIndex: index,
      type: 'category',
      inverse: true,
      data: group.bars.map(({ label }) => label),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: PALE_INK } },
      axisLabel: { fontSize: 12, color: INK, fontFamily: FONT, interval: 0 },
    })),
    series: groups.flatMap((group, index) => [
      ...chart.series.map(({ name, key, stack }) => ({
        type: 'bar' as const,
        name,
        xAxisIndex: index,
        yAxisIndex: index,
        barWidth: BAR,
        barGap: `${(BAR_GAP / BAR) * 100}%`,
        ...(stack !== undefined && { stack: `${index} ${stack}` }),
        data: group.bars.map(bar => bar.valueOf(key)?.median ?? null),
      })),
      ...slots.map((slot, at) => whiskers(group, index, slot, at, slots.length, chart.digits)),
    ]),
  } as echarts.EChartsCoreOption);
  const svg = drawing.renderToSVGString();
  drawing.dispose();
  return svg;
}

function slotsOf({ series, totals }: BarChart): Slot[] {
  return totals ? [...totals] : series.map(({ key }) => ({ stack: key, key }));
}

function valuesOf(group: Group, slots: readonly Slot[]): Summary[] {
  return group.bars.flatMap(bar => slots.flatMap(({ key }) => bar.valueOf(key) ?? []));
}

/** From the least to the most at the end of each bar, and the median in figures behind it. */
function whiskers(group: Group, gridIndex: number, slot: Slot, at: number, slots: number, digits: number) {
  const offset = (at - (slots - 1) / 2) * (BAR + BAR_GAP);
  const data = group.bars.flatMap((bar, row) => {
    const summary = bar.valueOf(slot.key);
    return summary ? [[row, summary.median, summary.least, summary.most]] : [];
  });
  return {
    type: 'custom' as const,
    xAxisIndex: gridIndex,
    yAxisIndex: gridIndex,
    encode: { x: [1, 2, 3], y: 0 },
    z: 10,
    data,
    renderItem(_: unknown, api: { value(dimension: number): number; coord(point: number[]): number[] }) {
      const [row, median, least, most] = [0, 1, 2, 3].map(dimension => api.value(dimension)) as [
        number,
        number,
        number,
        number,
      ];
      const place = (value: number) => api.coord([value, row]) as [number, number];
      const y = place(0)[1] + offset;
      const [x1, x2] = [place(least)[0], place(most)[0]];
      const line = (shape: object) => ({ type: 'line', shape, style: { stroke: WHISKER, lineWidth: 1 } });
      return {
        type: 'group',
        children: [
          ...(most > least
            ? [
                line({ x1, y1: y, x2, y2: y }),
                line({ x1, y1: y - 3, x2: x1, y2: y + 3 }),
                line({ x1: x2, y1: y - 3, x2, y2: y + 3 }),
              ]
            : []),
          {
            type: 'text',
            style: {
              text: median.toFixed(digits),
              x: x2 + 5,
              y,
              textVerticalAlign: 'middle',
              verticalAlign: 'middle',
              fontSize: 10,
              fontFamily: FONT,
              fill: INK,
            },
          },
        ],
      };
    },
  };
}
