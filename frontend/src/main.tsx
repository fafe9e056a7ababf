/** Starts the page. */
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { makeQueryClient } from "./lib/queries";
import { MemberProvider } from "./modules/account/member";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/tables.css";
import "./styles/dialog.css";
import "./styles/shell.css";
import "./styles/session.css";
import "./styles/ticket.css";
import "./styles/plots.css";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element with id root");

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={makeQueryClient()}>
      <MemberProvider>
        <App />
      </MemberProvider>
    </QueryClientProvider>
  </StrictMode>,
);
