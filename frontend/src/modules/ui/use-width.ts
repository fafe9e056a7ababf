/** The width of an element in CSS pixels, so that plots are drawn at their true size and text keeps its own. */
import { useCallback, useEffect, useRef, useState } from "react";

export function useWidth(initial = 640): readonly [(element: HTMLElement | null) => void, number] {
  const [width, setWidth] = useState(initial);
  const observer = useRef<ResizeObserver | null>(null);
  useEffect(() => () => observer.current?.disconnect(), []);
  const attach = useCallback((element: HTMLElement | null) => {
    observer.current?.disconnect();
    if (element === null) return;
    setWidth(Math.round(element.clientWidth));
    observer.current = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setWidth(Math.round(entry.contentRect.width));
    });
    observer.current.observe(element);
  }, []);
  return [attach, Math.max(width, 220)];
}
